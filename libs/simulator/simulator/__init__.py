"""The Jimeng site, locally: as strict as the real one, with faults on demand."""
