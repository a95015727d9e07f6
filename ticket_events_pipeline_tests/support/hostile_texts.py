"""Texts that could break a page or a terminal which shows them unescaped."""

HOSTILE = [
    "<script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 1">',
    "' onmouseover='window.pwned = 1",
    "javascript:window.pwned = 1",
    "</style></title></table><h1>owned",
    "&lt;b&gt; &amp; {{ 7 * 7 }} {% raw %}",
    "**bold** _it_ | pipe | [link](https://example.org) `code`",
    "W" * 500,
    "\u202eright to left\u2069 مرحبا",
    "👩🏽‍🚒🔥",
    "a\x00b\x1b[31mc\x7f\x85d\rz",
    "\ud83d and \udc00 alone",
    '" href="../latest.html',
]
