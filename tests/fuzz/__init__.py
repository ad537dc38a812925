"""The gateway's API as its document says, asked by machine: `make fuzz`."""
