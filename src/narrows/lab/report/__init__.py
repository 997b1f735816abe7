"""What an experiment hands over to people: one page, one document, one table of every figure.

Table, Chart, Plate, Slider --Section--> Report --write_report--> report.html  report.md  figures/  metrics.csv

table.py     a table as CSV, HTML and Markdown          chart.py     a chart that is drawn in two sizes
metrics.py   metrics.csv, a line a figure               figures.py   lines, losses;  bars.py, clouds.py the others
pictures.py  plates: rows of pictures, pixel for pixel  plates.py    the plates that the studies need
prose.py     paragraphs with code and bold words        document.py  Report, Section, Claim, Slider
page.py      report.html                                markdown.py  report.md
sheet.py     a plate as one picture with its words      write.py     all of it, into a folder
"""
