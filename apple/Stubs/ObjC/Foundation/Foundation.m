// The stub of Foundation, to run the Objective-C shim on Linux, over the runtime of ObjFW. Objects are counted, so
// that tests see what is not freed. Without automatic reference counting, which is made of what stands here.
#import "Stubs.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "os/log.h"

// Of the runtime, whose header has another BOOL.
extern unsigned long class_getInstanceSize(Class class);
extern Class class_getSuperclass(Class class);
extern Class object_getClass(id object);
extern id objc_constructInstance(Class class, void *bytes);
extern void *objc_destructInstance(id object);
extern id _objc_rootAutorelease(id object);
extern void *objc_autoreleasePoolPush(void);
extern void objc_autoreleasePoolPop(void *pool);
extern void *_Block_copy(const void *block);
extern void _Block_release(const void *block);

static atomic_long objectCount;

long StubObjectCount(void) {
    return atomic_load(&objectCount);
}

/// Stands before each object.
typedef union Head {
    atomic_long references;
    max_align_t align;
} Head;

@interface NSObject (Counted)
- (instancetype)retain;
- (oneway void)release;
- (instancetype)autorelease;
@end

@implementation NSObject

+ (instancetype)alloc {
    Head *head = calloc(1, sizeof(Head) + class_getInstanceSize(self));
    atomic_init(&head->references, 1);
    atomic_fetch_add(&objectCount, 1);
    return objc_constructInstance(self, head + 1);
}

+ (Class)class {
    return self;
}

- (instancetype)init {
    return self;
}

- (void)dealloc {
    objc_destructInstance(self);
    atomic_fetch_sub(&objectCount, 1);
    free((Head *)(void *)self - 1);
}

- (id)copy {
    return [self retain];
}

- (instancetype)self {
    return self;
}

- (BOOL)isKindOfClass:(Class)class {
    for (Class of = object_getClass(self); of != nil; of = class_getSuperclass(of)) {
        if (of == class) {
            return YES;
        }
    }
    return NO;
}

- (instancetype)retain {
    atomic_fetch_add(&((Head *)(void *)self - 1)->references, 1);
    return self;
}

- (oneway void)release {
    if (atomic_fetch_sub(&((Head *)(void *)self - 1)->references, 1) == 1) {
        [self dealloc];
    }
}

- (instancetype)autorelease {
    return _objc_rootAutorelease(self);
}

@end

@interface StubString : NSString {
  @public
    char *_text;
}
@end

/// Writes to memory that is to be freed. Takes what the shim has of formats: a privacy, a length, and one of the
/// letters of `append`.
static char *formatted(const char *format, va_list values, BOOL isLog);

@implementation NSString

+ (nullable instancetype)stringWithUTF8String:(const char *)text {
    StubString *made = [StubString alloc];
    made->_text = strdup(text);
    return (id)[made autorelease];
}

+ (instancetype)stringWithFormat:(NSString *)format, ... {
    StubString *made = [StubString alloc];
    va_list values;
    va_start(values, format);
    made->_text = formatted(format.UTF8String, values, NO);
    va_end(values);
    return (id)[made autorelease];
}

- (nullable const char *)UTF8String {
    return NULL;
}

- (nullable NSData *)dataUsingEncoding:(NSStringEncoding)__unused encoding {
    // A text that is no Unicode, as one of a lone surrogate, has no UTF-8; here it is one of the class itself.
    const char *text = self.UTF8String;
    return text == NULL ? nil : [NSData dataWithBytes:text length:strlen(text)];
}

@end

@implementation StubString

- (const char *)UTF8String {
    return _text;
}

- (void)dealloc {
    free(_text);
    [super dealloc];
}

@end

@implementation NSConstantString

- (const char *)UTF8String {
    return _bytes;
}

- (instancetype)retain {
    return self;
}

- (oneway void)release {
}

- (instancetype)autorelease {
    return self;
}

@end

@implementation NSData {
    NSUInteger _length;
    void *_bytes;
}

@synthesize length = _length;

+ (instancetype)dataWithBytes:(const void *)bytes length:(NSUInteger)length {
    NSData *made = [self alloc];
    made->_length = length;
    // Not a byte more, for what finds reads beyond the end.
    made->_bytes = malloc(length);
    memcpy(made->_bytes, bytes, length);
    return [made autorelease];
}

- (const void *)bytes {
    return _bytes;
}

- (void)dealloc {
    free(_bytes);
    [super dealloc];
}

@end

@implementation NSNumber {
    unsigned long long _value;
}

+ (NSNumber *)numberWithUnsignedLongLong:(unsigned long long)value {
    NSNumber *made = [self alloc];
    made->_value = value;
    return [made autorelease];
}

+ (NSNumber *)numberWithUnsignedInt:(unsigned int)value {
    return [self numberWithUnsignedLongLong:value];
}

+ (NSNumber *)numberWithUnsignedLong:(unsigned long)value {
    return [self numberWithUnsignedLongLong:value];
}

- (unsigned long long)unsignedLongLongValue {
    return _value;
}

@end

@interface NSArray () {
  @protected
    id *_objects;
    NSUInteger _count;
}
@end

@implementation NSArray

@synthesize count = _count;

- (id)objectAtIndexedSubscript:(NSUInteger)index {
    return index < _count ? _objects[index] : (abort(), nil);
}

- (void)dealloc {
    for (NSUInteger index = 0; index < _count; index++) {
        [_objects[index] release];
    }
    free(_objects);
    [super dealloc];
}

@end

@implementation NSMutableArray

+ (instancetype)array {
    return [[[self alloc] init] autorelease];
}

- (void)addObject:(id)object {
    _objects = realloc(_objects, (_count + 1) * sizeof *_objects);
    _objects[_count++] = [object retain];
}

- (void)removeObjectAtIndex:(NSUInteger)index {
    id object = self[index];
    _count--;
    memmove(_objects + index, _objects + index + 1, (_count - index) * sizeof *_objects);
    [object release];
}

@end

@interface NSDictionary () {
  @protected
    NSMutableArray *_keys;
    NSMutableArray *_values;
}
@end

@implementation NSDictionary

- (instancetype)init {
    self = [super init];
    _keys = [[NSMutableArray alloc] init];
    _values = [[NSMutableArray alloc] init];
    return self;
}

+ (instancetype)dictionaryWithObjects:(const id *)objects forKeys:(const id *)keys count:(NSUInteger)count {
    NSDictionary *made = [[self alloc] init];
    for (NSUInteger index = 0; index < count; index++) {
        [made->_keys addObject:keys[index]];
        [made->_values addObject:objects[index]];
    }
    return [made autorelease];
}

- (nullable id)objectForKeyedSubscript:(NSString *)key {
    for (NSUInteger index = 0; index < _keys.count; index++) {
        if (strcmp(((NSString *)_keys[index]).UTF8String, key.UTF8String) == 0) {
            return _values[index];
        }
    }
    return nil;
}

- (void)dealloc {
    [_keys release];
    [_values release];
    [super dealloc];
}

@end

@implementation NSMutableDictionary

+ (instancetype)dictionary {
    return [[[self alloc] init] autorelease];
}

- (void)setObject:(id)object forKeyedSubscript:(id)key {
    [_keys addObject:key];
    [_values addObject:object];
}

@end

NSErrorUserInfoKey const NSLocalizedDescriptionKey = @"NSLocalizedDescription";

@implementation NSError {
    NSErrorDomain _domain;
    NSInteger _code;
    NSDictionary *_userInfo;
}

@synthesize domain = _domain, code = _code, userInfo = _userInfo;

+ (instancetype)errorWithDomain:(NSErrorDomain)domain code:(NSInteger)code userInfo:(NSDictionary *)info {
    NSError *made = [[self alloc] init];
    made->_domain = [domain copy];
    made->_code = code;
    made->_userInfo = [info retain];
    return [made autorelease];
}

- (NSString *)localizedDescription {
    return _userInfo[NSLocalizedDescriptionKey];
}

- (void)dealloc {
    [_domain release];
    [_userInfo release];
    [super dealloc];
}

@end

static void append(FILE *text, BOOL isLong, char letter, va_list *values, BOOL isShown) {
    switch (letter) {
    case 'd':
    case 'u':
        // Numbers are public, and none that the shim logs is negative.
        fprintf(text, "%lu", isLong ? va_arg(*values, unsigned long) : va_arg(*values, unsigned int));
        return;
    case 's': {
        const char *value = va_arg(*values, const char *);
        fputs(isShown ? value : "<private>", text);
        return;
    }
    case '@': {
        id value = va_arg(*values, id);
        BOOL isText = value == nil || [value isKindOfClass:[NSString class]];
        const char *shown = value == nil ? "(null)" : isText ? ((NSString *)value).UTF8String : "an object";
        fputs(isShown ? shown : "<private>", text);
        return;
    }
    default:
        abort();
    }
}

static char *formatted(const char *format, va_list values, BOOL isLog) {
    char *made = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&made, &length);
    va_list left;
    va_copy(left, values);
    for (const char *at = format; *at != 0; at++) {
        if (*at != '%') {
            fputc(*at, text);
            continue;
        }
        BOOL isPublic = strncmp(at, "%{public}", 9) == 0;
        at = at[1] == '{' ? strchr(at, '}') + 1 : at + 1;
        BOOL isLong = *at == 'l';
        at += strspn(at, "l");
        append(text, isLong, *at, &left, isPublic || !isLog);
    }
    va_end(left);
    fclose(text);
    return made;
}

@interface StubLog : NSObject <OS_os_log> {
  @public
    const char *_subsystem;
    const char *_category;
}
@end

@implementation StubLog
@end

/// Each with its subsystem and category in front.
static struct {
    pthread_mutex_t lock;
    char *lines[1000];
    size_t count;
} logged = {.lock = PTHREAD_MUTEX_INITIALIZER};

os_log_t os_log_create(const char *subsystem, const char *category) {
    StubLog *made = [[[StubLog alloc] init] autorelease];
    made->_subsystem = subsystem;
    made->_category = category;
    return made;
}

void stub_os_log(os_log_t log, const char *format, ...) {
    va_list values;
    va_start(values, format);
    char *text = formatted(format, values, YES);
    va_end(values);
    char *line = NULL;
    StubLog *to = (StubLog *)log;
    if (asprintf(&line, "%s/%s\n%s", to->_subsystem, to->_category, text) < 0) {
        abort();
    }
    free(text);
    pthread_mutex_lock(&logged.lock);
    if (logged.count == sizeof logged.lines / sizeof *logged.lines) {
        abort();
    }
    logged.lines[logged.count++] = line;
    pthread_mutex_unlock(&logged.lock);
}

char *StubLoggedLines(const char *subsystem, const char *category) {
    char *made = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&made, &length);
    char head[100];
    int headLength = snprintf(head, sizeof head, "%s/%s\n", subsystem, category);
    pthread_mutex_lock(&logged.lock);
    for (size_t index = 0; index < logged.count; index++) {
        if (strncmp(logged.lines[index], head, (size_t)headLength) == 0) {
            fprintf(text, "\n%s", logged.lines[index] + headLength);
        }
    }
    pthread_mutex_unlock(&logged.lock);
    fclose(text);
    return made;
}

// Dispatch: a thread for each block, and a serial queue as a line in which they wait. That of the system is one of a
// block alone.

@interface StubQueue : NSObject {
  @public
    pthread_mutex_t _lock;
    pthread_cond_t _changed;
    // Of a queue, the numbers that were given and the one that runs; of a semaphore, the value.
    long _given;
    long _running;
}
@end

@implementation StubQueue

- (instancetype)init {
    self = [super init];
    pthread_mutex_init(&_lock, NULL);
    pthread_cond_init(&_changed, NULL);
    return self;
}

- (void)dealloc {
    pthread_cond_destroy(&_changed);
    pthread_mutex_destroy(&_lock);
    [super dealloc];
}

@end

typedef struct Work {
    StubQueue *queue;
    long number;
    void (^block)(void);
} Work;

static void *run(void *argument) {
    Work work = *(Work *)argument;
    free(argument);
    void *pool = objc_autoreleasePoolPush();
    pthread_mutex_lock(&work.queue->_lock);
    while (work.queue->_running != work.number) {
        pthread_cond_wait(&work.queue->_changed, &work.queue->_lock);
    }
    pthread_mutex_unlock(&work.queue->_lock);
    work.block();
    pthread_mutex_lock(&work.queue->_lock);
    work.queue->_running++;
    pthread_cond_broadcast(&work.queue->_changed);
    pthread_mutex_unlock(&work.queue->_lock);
    _Block_release(work.block);
    objc_autoreleasePoolPop(pool);
    [work.queue release];
    return NULL;
}

dispatch_queue_t dispatch_queue_create(const char *__unused label, dispatch_queue_attr_t __unused attributes) {
    return [[[StubQueue alloc] init] autorelease];
}

dispatch_queue_t dispatch_get_global_queue(intptr_t __unused identifier, uintptr_t __unused flags) {
    return dispatch_queue_create("", DISPATCH_QUEUE_SERIAL);
}

void dispatch_async(dispatch_queue_t queue, void (^block)(void)) {
    StubQueue *made = (StubQueue *)queue;
    Work *work = malloc(sizeof *work);
    pthread_mutex_lock(&made->_lock);
    *work = (Work){[made retain], made->_given++, _Block_copy(block)};
    pthread_mutex_unlock(&made->_lock);
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, work) != 0) {
        abort();
    }
    pthread_detach(thread);
}

dispatch_semaphore_t dispatch_semaphore_create(intptr_t value) {
    StubQueue *made = [[[StubQueue alloc] init] autorelease];
    made->_given = value;
    return made;
}

intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t __unused timeout) {
    StubQueue *made = (StubQueue *)semaphore;
    pthread_mutex_lock(&made->_lock);
    while (made->_given == 0) {
        pthread_cond_wait(&made->_changed, &made->_lock);
    }
    made->_given--;
    pthread_mutex_unlock(&made->_lock);
    return 0;
}

intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore) {
    StubQueue *made = (StubQueue *)semaphore;
    pthread_mutex_lock(&made->_lock);
    made->_given++;
    pthread_cond_broadcast(&made->_changed);
    pthread_mutex_unlock(&made->_lock);
    return 0;
}
