"""Tools of the reference agent that medbench brings: one file each, registered under `medbench.tools`."""
