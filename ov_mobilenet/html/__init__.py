"""Parts of the HTML reports of all commands: page, style, tables, axes and the way numbers are written."""
