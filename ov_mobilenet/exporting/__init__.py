"""Files for other servers: a model repository of OpenVINO Model Server, an InferenceService of KServe."""
