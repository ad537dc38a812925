"""Every message of the gateway, its subject, and the policy that delivers it.

Read `tasks.py` first: a task's life, message by message.
"""
