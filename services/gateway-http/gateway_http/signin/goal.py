"""Where a browser goes on to after signing in: nowhere but here."""

HOME = "/auth/login"
LONGEST = 2000


def local(path: str | None) -> str:
    """Return a path of ours; the sign-in page for whatever could lead elsewhere.

    Browsers read a backslash as a slash and leave out tabs and line breaks, and what
    begins with two slashes is another host.
    """
    if not path or len(path) > LONGEST or not path.startswith("/"):
        return HOME
    odd = any(not "!" <= each <= "~" or each == "\\" for each in path)
    return HOME if odd or path.startswith("//") else path
