"""The gate `make test-containers`: what README says of bare systems and containers, on real ones."""
