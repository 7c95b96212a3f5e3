"""Median CPU milliseconds of one inference with onnxruntime on one thread: peer.py MODEL RUNS NAME=FILE.npy..."""

import statistics
import sys
import time

import numpy as np
import onnxruntime as ort

model, runs, *inputs = sys.argv[1:]
options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feed = {name: np.load(file) for name, file in (pair.split("=", 1) for pair in inputs)}
times = []
for _ in range(int(runs)):
    started = time.process_time()
    session.run(None, feed)
    times.append((time.process_time() - started) * 1e3)
print(statistics.median(times))
