"""A client for the Jimeng video site: sign, upload, submit, poll."""
