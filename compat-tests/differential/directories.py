"""What the brokers have written for themselves, once all else is done."""

from records import stored_batches


def compare(comparison):
    for topic in ("__consumer_offsets", "__transaction_state"):
        kinds = (stored_batches(broker.data_folder, topic) for broker in comparison.brokers)
        comparison.note("log directory", f"batches of {topic}", 2, *kinds)
