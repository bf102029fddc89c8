"""`every8d doctor`: looks at a running deployment for the traps that lose texts or send them twice.

A check is a file: a pure function judges facts, and `look` fetches the facts. None of them changes anything.
"""
