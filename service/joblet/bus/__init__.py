"""The seam around the D-Bus library: connection, contract, exported objects. No decisions."""
