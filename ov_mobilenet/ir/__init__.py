"""What an IR is: its record, files, ports, layout, normalisation and form."""
