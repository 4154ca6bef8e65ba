"""What a file is likely to be, by the ending of its name: only advice, its bytes decide when it is read."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of `text` as a set."""
    return frozenset(text.split())


_WORDS = {
    "a picture": """
        png jpg jpeg jpe jfif gif bmp tif tiff webp avif heic heif ico icns psd xcf ai eps raw cr2 nef dng tga jxl""",
    "a sound or a film": """
        mp3 wav flac ogg oga opus m4a aac wma aiff mid midi mp4 m4v mkv webm avi mov wmv flv mpg mpeg 3gp ogv""",
    "an archive": """
        zip tar gz tgz bz2 tbz xz txz zst lz4 lzma 7z rar cab iso dmg img jar war ear whl egg deb rpm apk msi pkg crate
        gem nupkg snap appimage""",
    "a program or compiled code": """
        exe dll so dylib a o obj lib class pyc pyo pyd wasm bin elf com sys ko nib beam rlib rmeta pdb dsym node""",
    "a font": "ttf otf woff woff2 eot ttc",
    "a database": "sqlite sqlite3 db db3 mdb accdb dbf ldb mdf",
    "data for programs": """
        parquet feather arrow avro orc npy npz pkl pickle joblib h5 hdf5 mat rds rdata pt pth ckpt safetensors onnx gguf
        ggml tflite pb mo dat pack idx""",
    "a document of a kind that is not read": """
        doc xls xlsx xlsm ppt pptx odt ods odp odg pages numbers key epub mobi azw azw3 djvu rtf vsd vsdx one pub xps
        indd sketch fig""",
}
NOT_TEXT = {ending: what for what, endings in _WORDS.items() for ending in endings.split()}
"""Ending -> what such a file is."""

TEXT = words("""
    txt text md markdown mdown mkd rst adoc asciidoc org tex bib log csv tsv json jsonl ndjson yaml yml toml ini cfg
    conf properties env xml html htm xhtml svg css scss sass less js mjs cjs jsx ts tsx vue svelte py pyi pyx rb rs
    go java kt kts scala groovy c h cc cpp cxx hpp hh m mm cs fs vb swift php pl pm lua r jl ex exs erl hrl hs lhs
    ml mli clj cljs edn lisp el scm rkt sh bash zsh fish ps1 bat cmd sql graphql proto thrift tf hcl nix cmake mk
    make gradle dockerfile ipynb diff patch srt vtt eml mbox pdf docx
""")
"""Endings of files that are not looked into while a folder is walked; it is found out when they are read."""

HTML = frozenset({"html", "htm", "xhtml"})


def ending(name: str) -> str:
    """What stands behind the last dot of a file name, lower case; "" where there is none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem else ""
