"""Jobs that go through a provider's own batch service: a file of requests out, files of answers back, hours later.

`desk` owns everything that is under way, `road` gathers the requests of one job, `keeper` takes one batch from the file
on this disk to its last answer, `ingest` reads what came back, `remote` is what a person can do with what is there.

Three things make it safe to die at any moment. What is about to be handed over is written down before its first byte
leaves, with a token that goes along. What may have arrived is looked for by that token before it is sent again. And a
line's fate is written in one transaction with the item's, so that a file can be read again from its start.
"""
