"""The parts of the HTML report: labels, figures, tables and plots as values, and the templates that show them."""
