"""The storm: the whole gateway under kills, pauses and faults, judged from outside."""
