"""INT8 quantisation of converted IRs with NNCF."""
