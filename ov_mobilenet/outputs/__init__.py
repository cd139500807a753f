"""Where results are written: a table for people; JSON, JSON Lines, CSV or Parquet for programs.

Independent of the command line, so that a program that classifies a camera can write the same files:

    with open_destination("results.csv", resume=True) as destination:
        sink = destination.sink()
        for result in classifier.stream(destination.remaining(images)):
            sink.put(result)
        sink.close()
"""
