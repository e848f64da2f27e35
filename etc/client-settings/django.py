"""Django: lines for the project's settings.py."""

import os

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = "smtp-gateway.example"
EMAIL_PORT = 587
EMAIL_USE_TLS = True  # STARTTLS. For port 465: EMAIL_USE_SSL = True instead; both together are an error
EMAIL_HOST_USER = "postscale"
EMAIL_HOST_PASSWORD = os.environ["POSTSCALE_KEY"]  # ps_live_...
EMAIL_TIMEOUT = 120  # seconds; the default waits for ever

# At a domain that is verified at the vendor. SERVER_EMAIL is the From of error mails; its default is root@localhost.
DEFAULT_FROM_EMAIL = "Shop <shop@example.com>"
SERVER_EMAIL = "errors@example.com"

# Tags and metadata, per message:
#   EmailMessage(..., headers={"X-Postscale-Tags": "invoice, march", "X-Postscale-Metadata": '{"order_id": "7781"}'})
