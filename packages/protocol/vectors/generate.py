"""Computes fingerprint.json anew from the inputs that stand in it, with Python's hashlib.

It shares no code with the package: what it writes is what the package has to agree with. Inputs: everything but
`meta_canonical_json`, `body_hash` and `fingerprint`. Run it in this directory; afterwards `git diff` shows what has
changed. Its canonical JSON is that of texts, whole numbers and keys of the basic plane, which is all there is here.
"""

import base64
import hashlib
import json


def canonical(meta):
    if not meta:
        return ""
    return json.dumps(meta, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(version, vector, meta, body):
    body_hash = hashlib.sha256(body).hexdigest()
    destination, reply_to = vector["destination"], vector["reply_to_id"] or ""
    fields = (version, destination["kind"], destination["ref"], reply_to, vector["priority"], meta, body_hash)
    return {"body_hash": body_hash, "fingerprint": hashlib.sha256("\x00".join(fields).encode()).hexdigest()}


with open("fingerprint.json", encoding="utf-8") as file:
    content = json.load(file)
version = content["envelope_version"]
for vector in content["plaintext"]:
    meta = canonical(vector["meta"])
    body = base64.b64decode(vector["body_base64"])
    vector.update(meta_canonical_json=meta, **fingerprint(version, vector, meta, body))
for vector in content["wire"]:
    vector.update(fingerprint(version, vector, "", base64.b64decode(vector["sealed_base64"])))
with open("fingerprint.json", "w", encoding="utf-8") as file:
    json.dump(content, file, indent=1, ensure_ascii=False)
    file.write("\n")
