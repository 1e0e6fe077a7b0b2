"""Writes the vectors of this directory, with Python's cryptography and hashlib.

It shares no code with the package: what it writes is what the package has to agree with. Of keys.json, certificates.json,
hello.json and invite-token.json it keeps the inputs that stand in them (names, `input`, what is claimed) and computes
the rest; chains.json holds verdicts alone, which are judged and not computed. Run it in this directory; afterwards
`git diff` shows what has changed.
"""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

DAY = 86_400_000
FOUNDED = 1_700_000_000_000
NOW = FOUNDED + 30 * DAY
MESH_ID = "01JD8Z6K3V0000000000000000"
INVITE_ID = "01JD8Z6K3V0000000000000002"


def read(name):
    with open(f"{name}.json", encoding="utf-8") as file:
        return json.load(file)


def write(name, content):
    with open(f"{name}.json", "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")


def key_pairs(file):
    """Inputs: the names."""
    for kind, private in (("signing", Ed25519PrivateKey), ("box", X25519PrivateKey)):
        for name, pair in file[kind].items():
            seed = hashlib.sha256(f"{name}: {kind}".encode()).digest()
            pair.update(seed=seed.hex(), public_key=private.from_private_bytes(seed).public_key().public_bytes_raw().hex())
    return file


KEYS = key_pairs(read("keys"))


def public_key(name):
    return KEYS["signing"][name]["public_key"]


def canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sign(domain, document, name):
    """The text that is signed, and the signature of the named key over it."""
    signed = f"{domain}\x00{canonical(document)}"
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYS["signing"][name]["seed"]))
    signature = base64.urlsafe_b64encode(key.sign(signed.encode())).decode().rstrip("=")
    return signed, signature


def certificate(given):
    """Inputs: what stands under `input`; `keys`, `key` and `issuer` are names of pairs."""
    common = {"kind": given["kind"], "mesh_id": given["mesh_id"]}
    until = {} if given["not_after"] is None else {"not_after": given["not_after"]}
    if given["kind"] == "invite":
        claims = {
            **common,
            "invite_id": given["invite_id"],
            "invite_key": public_key(given["key"]),
            "role": given["role"],
            "uses": given["uses"],
            "not_before": given["not_before"],
            **until,
            "issuer_key": public_key(given["issuer"]),
        }
    else:
        claims = {
            **common,
            "member_id": given["member_id"],
            "name": given["name"],
            "role": given["role"],
            "signing_key": public_key(given["keys"]),
            "box_key": KEYS["box"][given["keys"]]["public_key"],
            "not_before": given["not_before"],
            **until,
            "epoch": given["epoch"],
            "issuer_key": public_key(given["issuer"]),
        }
        claims["possession"] = sign("claudemesh-possession-v1", claims, given["keys"])[1]
    return {**claims, "signature": sign("claudemesh-certificate-v1", claims, given["issuer"])[1]}


def certificates(file):
    mesh = file["mesh"]
    record = mesh["record"]
    record["root_key"] = public_key(mesh["root"])
    facts = {key: value for key, value in record.items() if key != "signature"}
    mesh["signed"], record["signature"] = sign("claudemesh-mesh-v1", facts, mesh["root"])
    for one in file["certificates"]:
        one["certificate"] = certificate(one["input"])
    return file


CERTIFICATES_FILE = certificates(read("certificates"))
CERTIFICATES = {one["name"]: one["certificate"] for one in CERTIFICATES_FILE["certificates"]}


def hello(file):
    """Inputs: origin, mesh and member, nonce, options, and whose keys sign."""
    claims = (file["origin"], file["mesh_id"], file["member_id"], file["nonce"], canonical(file["options"]))
    signed = "\x00".join(("claudemesh-hello-v1", *claims)).encode()
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYS["signing"][file["keys"]]["seed"]))
    signature = base64.urlsafe_b64encode(key.sign(signed)).decode().rstrip("=")
    return {**file, "signed": signed.hex(), "signature": signature}


def invite_token(file):
    """Inputs: the broker's address. The invite and its chain are those of certificates.json."""
    seed = bytes.fromhex(KEYS["signing"]["invite"]["seed"])
    payload = {
        "broker_url": file["payload"]["broker_url"],
        "invite_seed": base64.urlsafe_b64encode(seed).decode().rstrip("="),
        "mesh": CERTIFICATES_FILE["mesh"]["record"],
        "chain": [CERTIFICATES["invite"], CERTIFICATES["founder"]],
    }
    text = canonical(payload).encode()
    checksum = hashlib.sha256(b"cm1" + text).digest()[:4]
    token = "cm1" + base64.urlsafe_b64encode(text + checksum).decode().rstrip("=")
    return {**file, "payload": payload, "checksum": checksum.hex(), "token": token}


def revocation_list(name, issuer, **content):
    claims = {
        "mesh_id": MESH_ID,
        "number": 1,
        "revoked_members": [],
        "revoked_invites": [],
        "issued_at": NOW,
        **content,
        "issuer_key": public_key(issuer),
    }
    signed, signature = sign("claudemesh-revocation-v1", claims, issuer)
    return {"name": name, "issuer": issuer, "signed": signed, "list": {**claims, "signature": signature}}


def revoked(name, at, **more):
    return {"member_id": public_key(name), "at": at, **more}


def ascending(*entries):
    return sorted(entries, key=lambda entry: entry["member_id"])


def revocations():
    joiner = revoked("joiner", NOW - 1000)
    invite = {"invite_id": INVITE_ID, "at": FOUNDED + 2 * DAY}
    both = ascending(joiner, revoked("stranger", NOW, reason="Gerät verloren 🍐"))
    lists = [
        revocation_list("first", "root", revoked_members=[joiner], issued_at=NOW - 1000),
        revocation_list("second", "founder", number=2, revoked_members=both, revoked_invites=[invite]),
        revocation_list("of nobody", "founder"),
        revocation_list("without the founder", "root", revoked_members=[revoked("founder", NOW)]),
        revocation_list("of the revoked founder", "founder", number=2, revoked_members=[revoked("founder", NOW)]),
        revocation_list("second, without the joiner", "founder", number=2),
        revocation_list(
            "second, with the joiner later", "founder", number=2, revoked_members=[revoked("joiner", NOW)]
        ),
        revocation_list("with a member twice", "founder", revoked_members=[joiner, joiner]),
        revocation_list("for tomorrow", "founder", revoked_members=[revoked("joiner", NOW + DAY)]),
        revocation_list("with too high a number", "founder", number=NOW + 1),
        revocation_list("from tomorrow", "founder", issued_at=NOW + DAY),
        revocation_list("of a member", "joiner"),
        revocation_list("of an invite", "root", revoked_invites=[invite]),
        revocation_list("of an invite before anybody joined", "root", revoked_invites=[{**invite, "at": FOUNDED}]),
    ]
    tampered = next(one for one in lists if one["name"] == "second")
    lists.append(
        {**tampered, "name": "second, changed", "list": {**tampered["list"], "revoked_members": both[:1]}}
    )
    founder, joiner_chain = ["founder"], ["joiner", "invite", "founder"]
    rotated = ["joiner, epoch 1", *joiner_chain]

    def verdict(name, chain, previous=None, reason=None):
        result = {"ok": True} if reason is None else {"ok": False, "reason": reason}
        return {"list": name, "issuer_chain": chain, "previous": previous, "now": NOW, "verdict": result}

    verdicts = [
        verdict("first", []),
        verdict("second", founder, "first"),
        verdict("second", founder),
        verdict("first", [], "first", "number_not_newer"),
        verdict("first", [], "second", "number_not_newer"),
        verdict("second", founder, "without the founder", "entry_withdrawn"),
        verdict("of the revoked founder", founder, "without the founder", "issuer_revoked"),
        verdict("second, without the joiner", founder, "first", "entry_withdrawn"),
        verdict("second, with the joiner later", founder, "first", "entry_withdrawn"),
        verdict("with a member twice", founder, None, "entries_not_ascending"),
        verdict("for tomorrow", founder, None, "entry_in_future"),
        verdict("with too high a number", founder, None, "number_ahead_of_time"),
        verdict("from tomorrow", founder, None, "issued_in_future"),
        verdict("of a member", joiner_chain, None, "issuer_not_admin"),
        verdict("of a member", [], None, "issuer_mismatch"),
        verdict("second", joiner_chain, None, "issuer_mismatch"),
        verdict("second", ["joiner", "founder"], None, "issuer_unproven"),
        verdict("second, changed", founder, None, "signature_invalid"),
    ]

    def membership(name, chain, found, **seen):
        return {"list": name, "chain": chain, **seen, "revocation": found}

    joined = FOUNDED + DAY
    by_list = {"reason": "member_revoked", "id": joiner["member_id"], "at": joiner["at"]}
    by_invite = {"reason": "invite_revoked", "id": INVITE_ID, "at": invite["at"]}
    members = [
        membership("first", joiner_chain, by_list),
        membership("first", rotated, by_list),
        membership("first", founder, None),
        membership("of an invite", joiner_chain, None),
        membership("of an invite", rotated, None),
        membership("of an invite", joiner_chain, by_invite, first_seen_at=None),
        membership("of an invite", joiner_chain, by_invite, first_seen_at=invite["at"]),
        membership("of an invite", joiner_chain, None, first_seen_at=invite["at"] - 1),
        membership("of an invite before anybody joined", joiner_chain, {**by_invite, "at": FOUNDED}),
        membership(
            "of an invite before anybody joined", joiner_chain, {**by_invite, "at": FOUNDED}, first_seen_at=joined
        ),
        membership("without the founder", joiner_chain, None),
    ]
    return {
        "comment": 'signature = Ed25519(issuer, "claudemesh-revocation-v1" 00 JCS(list without signature)). Verdicts: '
        "lists judged at `now` under the mesh of certificates.json, shown with a chain of names in that file (empty: "
        "the root key), after a `previous` list. Members: what a list says of the member that a chain proves, to a "
        "host that first saw each member of the chain at `first_seen_at` (null: never; absent: it believes the dates "
        "of the certificates).",
        "lists": lists,
        "verdicts": verdicts,
        "members": members,
    }


def rotations():
    def rotate(name, chain, keys, new_keys, now, not_before):
        old = CERTIFICATES[chain[0]]
        claims = {
            **{key: old[key] for key in ("kind", "mesh_id", "member_id", "name", "role")},
            "signing_key": public_key(new_keys),
            "box_key": KEYS["box"][new_keys]["public_key"],
            "not_before": not_before,
            **({"not_after": old["not_after"]} if "not_after" in old else {}),
            "epoch": old["epoch"] + 1,
            "issuer_key": public_key(keys),
        }
        claims["possession"] = sign("claudemesh-possession-v1", claims, new_keys)[1]
        certificate = {**claims, "signature": sign("claudemesh-certificate-v1", claims, keys)[1]}
        return {
            "name": name,
            "chain": chain,
            "keys": keys,
            "new_keys": new_keys,
            "now": now,
            "certificate": certificate,
        }

    joiner, later = ["joiner", "invite", "founder"], FOUNDED + 2 * DAY
    mortal = ["joiner until a time", "invite", "founder"]
    return {
        "comment": "What is put before `chain` (names in certificates.json) when the member of `keys` takes `new_keys` "
        "at `now`. Key ids: the first 16 bytes of SHA-256(box key), in hex.",
        "rotations": [
            rotate("a joiner", joiner, "joiner", "joiner, epoch 1", later, later),
            rotate("the founder", ["founder"], "founder", "stranger", later, later),
            rotate("a joiner until a time", mortal, "joiner", "joiner, epoch 1", later, later),
            rotate("a joiner whose clock was set back", joiner, "joiner", "stranger", FOUNDED + DAY - 1, FOUNDED + DAY),
        ],
        "key_ids": [
            {
                "box_key": pair["public_key"],
                "key_id": hashlib.sha256(bytes.fromhex(pair["public_key"])).hexdigest()[:32],
            }
            for pair in KEYS["box"].values()
        ],
    }


def host_fingerprints():
    machine_id, uuid, mac = "0123456789abcdef" * 2, "01234567-89ab-cdef-0123-456789abcdef", "52:54:00:12:34:56"
    return {
        "comment": "SHA-256(host id | MAC address), both as lower-case text; null: there is none.",
        "fingerprints": [
            {
                "host_id": host_id,
                "mac": address,
                "fingerprint": hashlib.sha256(((host_id or "") + (address or "")).encode()).hexdigest(),
            }
            for host_id, address in ((machine_id, mac), (machine_id, None), (None, mac), (uuid, None))
        ],
    }


for name, content in (
    ("keys", KEYS),
    ("certificates", CERTIFICATES_FILE),
    ("hello", hello(read("hello"))),
    ("invite-token", invite_token(read("invite-token"))),
    ("revocations", revocations()),
    ("rotations", rotations()),
    ("host-fingerprints", host_fingerprints()),
):
    write(name, content)
