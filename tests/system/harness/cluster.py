# SPDX-License-Identifier: GPL-3.0-or-later
"""Three RabbitMQ nodes on one machine, as one broker, each a Broker of its own; and the network between them,
which a test can cut: nodes whose cookies differ refuse each other, as if the other were not there."""
import os

from . import wait
from .rabbit import Broker

COOKIE = "navette-cluster"


class Node(Broker):
    def __init__(self, folder, source, epmd=None):
        super().__init__(folder, source)
        self.alone = False
        if epmd:
            self.epmd_port, self.epmd = epmd.epmd_port, epmd.epmd
        path = os.path.join(folder, ".erlang.cookie")
        with open(path, "w", encoding="ascii") as f:
            f.write(COOKIE)
        os.chmod(path, 0o400)

    def _write_configuration(self, source):
        super()._write_configuration(source)
        with open(os.path.join(self.folder, "rabbitmq.conf"), "a", encoding="ascii") as f:
            f.write("cluster_partition_handling = pause_minority\n")

    @property
    def name(self):
        return f"n{self.amqp}@localhost"

    def cut_from(self, others):
        self.alone = True
        names = ", ".join(f"'{o.name}'" for o in others)
        self.ctl("eval", f"[begin erlang:set_cookie(N, cut), erlang:disconnect_node(N) end || N <- [{names}]].")

    def heal(self, others):
        self.alone = False
        names = ", ".join(f"'{o.name}'" for o in others)
        self.ctl("eval", f"[begin erlang:set_cookie(N, '{COOKIE}'), net_kernel:connect_node(N) end || N <- [{names}]].")


class Cluster:
    """As a Broker to whoever uses it: the first node that lives answers."""

    def __init__(self, folder, source):
        os.makedirs(folder)
        first = Node(os.path.join(folder, "1"), source)
        self.nodes = [first.start()]
        for number in (2, 3):
            node = Node(os.path.join(folder, str(number)), source, first).start()
            for command in (("stop_app",), ("join_cluster", first.name), ("start_app",)):
                node.ctl(*command)
            self.nodes.append(node)
        wait.until(lambda: len(first.get("/nodes")) == 3, "three nodes", 60)

    def alive(self):
        return [n for n in self.nodes if n.child and not n.alone]

    def __getattr__(self, name):
        return getattr(self.alive()[0], name)

    @property
    def addresses(self):
        return [f"127.0.0.1:{n.amqp}" for n in self.nodes]

    def queue(self, vhost, name):
        return self.call("GET", "queues", vhost, name)

    def leader(self, vhost, name):
        leader = self.queue(vhost, name)["leader"]
        return next(n for n in self.nodes if n.name == leader)

    def online(self, vhost, name):
        """Nodes that hold it now."""
        return sorted(self.queue(vhost, name).get("online", []))

    def close(self):
        for node in reversed(self.nodes):
            if node is not self.nodes[0]:
                node.epmd = None
            node.close()
