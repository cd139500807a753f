"""The parts of the HTML report: markup, words, plots, style sheet, sections."""
