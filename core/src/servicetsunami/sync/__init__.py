"""Move batches from a source to a sink: all or nothing for readers, resumable, bounded in memory."""
