"""Texts made to do harm: each is put into every field that comes from outside, and shown in every place."""

from collections.abc import Mapping

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff"
MEBIBYTE = 1024 * 1024


def hostile(copied: str) -> Mapping[str, str]:
    """Give the texts by name.

    Args:
        copied: a signed marker of ours, as anyone can copy it out of the source of an issue.
    """
    return {
        # Mentions, on GitHub and on Slack.
        "a user": "thanks @octocat for this",
        "a team": "cc @acme/everyone",
        "a user at the start": "@octocat",
        "a user after punctuation": "(@octocat),[@octocat]!@octocat\t@octocat",
        "many at signs": "@@@@octocat @@ -1,2 +1,2 @@octocat",
        "a user in code": "`@octocat` ``@octocat`` ```@octocat```",
        "a user in emphasis": "**@octocat** _@octocat_ ~~@octocat~~ *@acme/qa*",
        "a user split by invisible characters": f"@{ZERO_WIDTH}octocat @\u2060octocat",
        "a user spelled as entities": "&#64;octocat &commat;octocat &#x40;octocat",
        "a user behind backslashes": "\\@octocat \\\\@octocat",
        "an address with a user": "mail@octocat.example ssh://git@octocat/x",
        "the channel": "<!channel> <!here> <!everyone>",
        "the channel by its words": "@channel @here @everyone",
        "a Slack user": "<@U024BE7LH> <@W012A3CDE|boss>",
        "a Slack group": "<!subteam^S0614TZR7> <!subteam^S0614TZR7|@qa>",
        "a Slack channel": "<#C0123456789> <#C0123456789|general>",
        "a Slack date": "<!date^1392734382^{date}|@here>",
        "entities of a Slack mention": "&lt;!here&gt; &lt;@U024BE7LH&gt; &amp;lt;!here&amp;gt;",
        "half of a Slack mention": "<!here <@U024BE7LH <",
        "the other half": "> !here> @U024BE7LH>",
        # What acts on GitHub.
        "a closing keyword": "fixes #1, Closes: #2; RESOLVED acme/sdk#3",
        "a closing keyword with an address": "closes https://github.com/acme/sdk/issues/1",
        "a closing keyword with GH": "Fix GH-1 and resolve gh-2",
        "a reference": "#1 acme/sdk#2 GH-3 github.com/acme/sdk/pull/4 /issues/5",
        "a command": "/close",
        "commands in lines": "first\n/close\n  /lock spam\n> /assign @octocat\n\t/approve",
        "a command behind carriage returns": "first\r/close\r\n/merge",
        "a command behind odd line ends": "first\u2028/close\u2029/merge\x0b/close\x0c/close\x85/close",
        # Markers and comments.
        "a copied marker": f"<!-- {copied} -->",
        "a copied marker without a comment": f"{copied}",
        "a copied marker in lines": f"first\n\n<!-- {copied} -->\n{copied}",
        "a forged marker": copied[:-8] + "00000000",
        "an open comment": "<!-- all that follows is hidden",
        "the end of a comment": "--> <!-- --> <!--> <!--->",
        "an open tag": "<details><summary>x</summary><pre><code><style><script>",
        "an open CDATA section": "<![CDATA[ <?php <!DOCTYPE html>",
        # Fences, code and the rest of Markdown.
        "a fence": "```\ninside\n```\noutside",
        "an open fence": "```diff\n-all that follows is code",
        "a fence of tildes": "~~~\n~~~~\n~~~",
        "fences of every length": "\n".join("`" * length for length in range(1, 120)),
        "a fence of a thousand": "`" * 1_000,
        "backticks": "` `` ``` `a`` b` ` ",
        "table pipes": "a | b || c \\| d \\\\| |\n| --- | --- |",
        "a heading": "# One\n## Two\nThree\n===\nFour\n---",
        "lists and quotes": "- a\n1. b\n> c\n+ d\n* e\n* * *\n___",
        "deep quotes": ">" * 5_000 + " x",
        "deep lists": "\n".join("  " * depth + "- x" for depth in range(300)),
        "deep brackets": "[" * 5_000 + "x" + "](y)" * 5_000,
        "deep emphasis": "*a **b " * 3_000,
        "a footnote and a definition": "[^1]\n\n[^1]: x\n[a]: javascript:alert(1)\n[a]",
        "mathematics": "$\\unicode{64}$ $`\\text{x}`$ $$x$$",
        "backslashes at the end": "ends with \\",
        # Links and images.
        "an image beacon": "![x](https://evil.example/beacon.png) <img src=https://evil.example/b.png>",
        "a script link": "[press](javascript:alert(1)) <javascript:alert(1)> <a href='javascript:x'>x</a>",
        "a data link": "[press](data:text/html;base64,PHNjcmlwdD4=) <vbscript:x>",
        "an autolink": "<https://evil.example> https://evil.example/?q=)>|x www.evil.example",
        "a Slack link": "<https://evil.example|https://bank.example> <mailto:x@y.example|press>",
        "Slack's formatting": "*bold _italic_ ~gone~ :red_circle: &amp; > quote",
        # Characters.
        "bidirectional overrides": "\u202eevil\u202c \u2066hidden\u2069 \u200f\u061c abc\u202d",
        "right to left": "שלום @octocat العربية fixes #1",
        "invisible characters": f"a{ZERO_WIDTH}b\u00ad\u180e\u2061\U000e0001\U000e0041c",
        "terminal escapes": "\x1b[31mred\x1b]0;title\x07\x1b[2J\x9b31m",
        "control characters": "".join(map(chr, range(32))) + "\x7f" + "".join(map(chr, range(128, 160))),
        "lone surrogates": "\ud800 \udfff \udc80 @\ud83doctocat",
        "combining marks": "Z" + "\u0310\u0352\u0343\u0344" * 2_000,
        "only spaces": " \t\n\r\u00a0\u2003 ",
        # Sizes.
        "ten megabytes in a line": "@octocat <!here> ```" * (10 * MEBIBYTE // 20),
        "ten megabytes in lines": "/close @octocat\n" * (10 * MEBIBYTE // 16),
        "ten megabytes of brackets": "<" * (10 * MEBIBYTE),
        "ten megabytes of backticks": "`" * (10 * MEBIBYTE),
    }
