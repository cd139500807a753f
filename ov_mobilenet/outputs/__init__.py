"""Where classifications go: a table for people, JSON, JSON lines, CSV or Parquet for programs.

A room of its own and no part of the command line: a program that streams a camera writes the same files.

    with open_destination("results.csv", form=None, resume=True) as destination:
        sink = destination.sink()
        for result in classifier.stream(destination.left(images)):
            sink.put(result)
        sink.close()
"""
