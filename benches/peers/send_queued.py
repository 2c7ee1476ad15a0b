"""django-post_office with a database of its own in a folder.

send_queued.py queue|start|send FOLDER PORT MESSAGES CONNECTIONS

queue makes the database and puts the messages into it; start does nothing; send runs `send_queued_mail` and prints how many seconds that took.
"""

import logging
import sys
import time

import django
from django.conf import settings

what, folder, port, messages, connections = sys.argv[1:]
port, messages, connections = int(port), int(messages), int(connections)

# One connection a thread. Python runs one thread at a time, so two processes share them.
processes = min(connections, 2)

settings.configure(
    SECRET_KEY="bench",
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder + "/db.sqlite3"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    EMAIL_BACKEND="post_office.EmailBackend",
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT=port,
    POST_OFFICE={
        "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
        "THREADS_PER_PROCESS": connections // processes,
        "BATCH_SIZE": messages,
    },
)
django.setup()
logging.disable(logging.WARNING)

from django.core.management import call_command  # noqa: E402
from post_office import mail  # noqa: E402
from post_office.models import STATUS, Email  # noqa: E402

if what == "queue":
    call_command("migrate", verbosity=0)
    line = "Message {}: your examiner has given feedback on your delivery.\n"
    mail.send_many(
        [
            {
                "sender": "no-reply@example.com",
                "recipients": [f"user{n}@example.com"],
                "subject": f"Feedback {n}",
                "message": line.format(n) * (4096 // len(line.format(n))),
            }
            for n in range(messages)
        ]
    )
if what == "send":
    began = time.perf_counter()
    call_command("send_queued_mail", processes=processes, log_level=0)
    took = time.perf_counter() - began
    sent = Email.objects.filter(status=STATUS.sent).count()
    assert sent == messages, f"{sent} of {messages} sent"
    print(took)
