"""Every message of the gateway, its subject, and the policy that delivers it."""
