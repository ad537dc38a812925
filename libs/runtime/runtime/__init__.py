"""What every service needs and none is about.

Settings, logs, the data folder, sealing, heartbeats, and a clean start and stop.
"""
