"""The edge: one thin handler per D-Bus interface, wire types and rights."""
