// os_unfair_lock, as far as the Objective-C shim uses it, to run it where there is none.
#ifndef STUB_OS_LOCK_H
#define STUB_OS_LOCK_H

#include <pthread.h>

typedef pthread_mutex_t os_unfair_lock;
#define OS_UNFAIR_LOCK_INIT ((os_unfair_lock)PTHREAD_MUTEX_INITIALIZER)
#define os_unfair_lock_lock(lock) ((void)pthread_mutex_lock(lock))
#define os_unfair_lock_unlock(lock) ((void)pthread_mutex_unlock(lock))

#endif
