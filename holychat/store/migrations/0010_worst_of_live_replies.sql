-- What a reply that is arriving costs at worst, so that limits count it before it is settled, as they count requests of
-- jobs. Written only where there is a limit; NULL: there is none, or the price is not known.
ALTER TABLE messages ADD COLUMN worst_micros INTEGER CHECK (worst_micros >= 0);
