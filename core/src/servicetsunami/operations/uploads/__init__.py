"""Files that people hand over: received, kept in the tenant's own folder, and synced like any other source."""

from servicetsunami.operations.uploads.links import PATH, Allowed, allowed_by, offer_link, receive_by_link
from servicetsunami.operations.uploads.uploading import Upload, upload_file

__all__ = ["PATH", "Allowed", "Upload", "allowed_by", "offer_link", "receive_by_link", "upload_file"]
