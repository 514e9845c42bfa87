"""The mesh's certificate authority: keys, roots and leaf certificates with SPIFFE identities."""
