"""The buffer of a reply: whatever the rhythm of checkpoints, they add up to the reply."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from holychat.chat.buffer import ReplyBuffer
from holychat.domain.chat import ReasoningPart

DELTA = st.tuples(st.text(min_size=1, max_size=5), st.booleans())


@given(steps=st.lists(st.one_of(DELTA, st.sampled_from(["kept", "refused"])), max_size=40))
def test_checkpoints_add_up_to_the_reply_also_when_some_are_refused(steps: list[tuple[str, bool] | str]) -> None:
    buffer = ReplyBuffer()
    kept: list[tuple[str, str]] = []
    for step in [*steps, "kept"]:
        if isinstance(step, tuple):
            buffer.add(step[0], reasoning=step[1])
            continue
        chunks, mark = buffer.unsaved()
        if step == "kept":
            kept += chunks
            buffer.mark_saved(mark)
    joined = [(kind, "".join(text for _, text in group)) for kind, group in groupby(kept, key=lambda chunk: chunk[0])]
    parts = buffer.parts()
    assert joined == [("reasoning" if isinstance(part, ReasoningPart) else "text", part.text) for part in parts]
    assert buffer.everything() == "".join(part.text for part in parts)
    assert buffer.unsaved()[0] == []
    assert buffer.visible == bool(parts)
