"""OpenVINO IRs: files, the record in rt_info, input and output, layout, normalisation."""
