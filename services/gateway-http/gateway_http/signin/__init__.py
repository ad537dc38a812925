"""Sign-in for people: the provider's word, roles, and what a browser keeps of it."""
