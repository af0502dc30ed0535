// What the C headers of macOS have and those of Linux have not; included before each file.
#ifndef STUB_LINUX_H
#define STUB_LINUX_H

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// After the headers of Linux, in which it is the name of fields.
#define __unused __attribute__((unused))

// The length of a socket address, a field on macOS.
#define sa_len sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)

// As on a system before macOS 15: what stands in parentheses behind the @ is then an expression that is false.
#ifdef STUB_BEFORE_MACOS_15
#define available(...) encode(int)[0] == 0
#endif

#endif
