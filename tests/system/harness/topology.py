# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for `navette broker apply` while the build has no such command (see topology.h)."""
TIERS = {"1s": 1000, "10s": 10000, "1m": 60000, "10m": 600000}


def apply(broker, vhost, client, site, passwords):
    def exchange(name, kind):
        broker.call("PUT", "exchanges", vhost, name, body={"type": kind, "durable": True})

    def queue(name, **arguments):
        broker.call("PUT", "queues", vhost, name, body={
            "durable": True, "arguments": {"x-queue-type": "quorum", **arguments}})

    def bind(source, destination, key, kind="q"):
        broker.call("POST", "bindings", vhost, "e", source, kind, destination,
                    body={"routing_key": key})

    def strict(dead_to, key=None):
        dead = {"x-dead-letter-exchange": dead_to, "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish"}
        return {**dead, "x-dead-letter-routing-key": key, "x-delivery-limit": 100} if key else dead

    own = {site: [f"archive.{site}", f"archive.{site}.now", f"catalog.{site}"],
           client: [f"restore.{client}", f"restore.{client}.now", f"events.{client}"]}
    for owner, queues in own.items():
        exchange(f"from.{owner}", "direct")
        exchange(f"self.{owner}", "direct")
        queue(f"dead.{owner}")
        bind(f"self.{owner}", f"dead.{owner}", f"dead.{owner}")
        for tier, ms in TIERS.items():
            name = f"retry.{owner}.{tier}"
            exchange(name, "fanout")
            queue(name, **{"x-message-ttl": ms}, **strict(f"self.{owner}"))
            bind(name, name, "")
        for name in queues:
            queue(name, **({} if "catalog" in name else strict(f"self.{owner}", f"dead.{owner}")))
            bind(f"self.{owner}", name, name)
    exchange(f"control.{site}", "fanout")
    for name in own[client]:
        bind(f"from.{site}", name, name)
    for name in own[site]:
        bind(f"from.{client}", name, name)
    bind(f"from.{client}", f"restore.{client}.now", f"restore.{client}.now")
    bind(f"from.{client}", f"control.{site}", f"control.{site}", "e")
    for user, password in passwords.items():
        broker.call("PUT", "users", user, body={"password": password, "tags": ""})
        broker.call("PUT", "permissions", vhost, user,
                    body={"configure": ".*", "write": ".*", "read": ".*"})
