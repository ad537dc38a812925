"""The Jimeng family's API in its own words: clients written for it come unchanged."""
