/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fault points: named places where a test can kill or stop a process, to check what a crash exactly
 * there leaves behind.
 *
 *   nv_fault("archiver.after-publish");
 *
 * Compiled to nothing unless the build option NAVETTE_FAULTS is on.  With it, the environment says:
 *   NAVETTE_FAULT=<name>          the process kills itself (SIGKILL) at the point <name>
 *   NAVETTE_FAULT=<name>:kill     the same
 *   NAVETTE_FAULT=<name>:stop     it stops itself (SIGSTOP) until somebody sends SIGCONT
 *   NAVETTE_FAULT_ONCE=<path>     only if <path> can be created: once, also across restarts */
#ifndef NV_FAULT_H
#define NV_FAULT_H

#ifdef NAVETTE_FAULTS
void nv_fault(const char *name);
#else
#define nv_fault(name) ((void)0)
#endif

#endif
