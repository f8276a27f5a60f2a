"""Texts that have broken readers before: numbers, encodings, nesting, lengths, markup, paths."""

from __future__ import annotations

NUMBERS = (
    *(b"0", b"-0", b"-1", b"1", b"2", b"16", b"0.0", b"-0.0", b"0.5", b"1.0", b"1e-9", b"5e-324"),
    *(b"1e400", b"-1e400", b"1e308", b"1e22", b"NaN", b"nan", b"Infinity", b"inf", b"-inf"),
    *(b"2147483647", b"2147483648", b"4294967296", b"9223372036854775807", b"9223372036854775808"),
    *(b"18446744073709551616", b"1" + b"0" * 30, b"9" * 400, b"1" * 5000, b"0" * 300 + b"1"),
    *(b"0x10", b"0b1", b"1_000", b"1,000", b"+5", b" 7 ", b"1e5", b"1E+2", b".5", b"5.", b"--5"),
    *("٣".encode(), "²".encode(), "1\u00a0000".encode(), b"1979-05-27T07:32:00Z", b"true", b"null"),
)
WORDS = (
    *(b"", b" ", b"true", b"false", b"null", b"None", b"auto", b"every", b"*", b"all", b"name"),
    *(b"../../../etc/passwd", b"/dev/null", b"/", b"~", b".", b"..", b"con", b"-", b"--", b"-h"),
    *(b"<script>alert(1)</script>", b"</script>", b"&lt;", b"[bold]x[/bold]", b"[/]", b"%s%n"),
    *("\u202e".encode(), "ä".encode(), "\U0001f4a9".encode(), b"\\ud800", b"\xed\xa0\x80", b"\xff"),
    *(b"a" * 300, b"x" * 5000, b"__class__", b"seed", b"n", b"size_bytes", b"chunk-1-trace.csv"),
)
MARKS = (
    *(b"\n", b"\r", b"\r\n", b"\x00", b"\t", b"\x1b[31m", b"\xef\xbb\xbf", b'"', b"'", b"'''"),
    *(b"{", b"}", b"[", b"]", b":", b"=", b",", b";", b"#", b"+", b"{}", b"[]", b"[[]]", b'""'),
    *(
        "\u2028".encode(),
        "\u0085".encode(),
        b"\\",
        b"\\u0000",
        b'"\\',
        b"[" * 2000,
        b'{"a":' * 2000,
    ),
)
DEEP = (b"[" * 100_000, b'{"a":' * 50_000, b"{" * 5_000, b"a." * 20_000, b"[[" * 5_000)
PREFIXES = (b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"\x00", b" ", b"\n")
