// Nothing is too new or too old where there is no macOS.
#ifndef STUB_OS_AVAILABILITY_H
#define STUB_OS_AVAILABILITY_H

#define API_AVAILABLE(...)
#define API_DEPRECATED(...)

#endif
