"""Pure decisions, without clock, random or I/O.

What a fact means for a task (`life`), who goes next (`dispatch`), and what an answer
of the site says about a session (`pool`).
"""
