"""The `jimeng` command, one file per subcommand, imported when it is used."""
