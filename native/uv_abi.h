// The part of libuv's interface that the loop hook uses. Its handles are opaque here: they are
// allocated by uv_handle_size() and never looked into, so one binary serves every version 1 of
// libuv and no header of it is needed. Where <uv.h> is at hand it takes over and checks our use.
#pragma once

#if __has_include(<uv.h>)

#include <uv.h>

#else

#include <cstddef>
#include <cstdint>

extern "C" {

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef struct uv_poll_s uv_poll_t;
typedef struct uv_async_s uv_async_t;

// Values fixed by the ABI of version 1.
typedef enum { UV_ASYNC = 1, UV_POLL = 8 } uv_handle_type;
enum uv_poll_event { UV_READABLE = 1 };

typedef void (*uv_close_cb)(uv_handle_t* handle);
typedef void (*uv_poll_cb)(uv_poll_t* handle, int status, int events);
typedef void (*uv_async_cb)(uv_async_t* handle);

size_t uv_handle_size(uv_handle_type type);
void uv_handle_set_data(uv_handle_t* handle, void* data);
void* uv_handle_get_data(const uv_handle_t* handle);
void uv_close(uv_handle_t* handle, uv_close_cb closed);
void uv_ref(uv_handle_t* handle);
void uv_unref(uv_handle_t* handle);
int uv_poll_init(uv_loop_t* loop, uv_poll_t* handle, int fd);
int uv_poll_start(uv_poll_t* handle, int events, uv_poll_cb callback);
int uv_poll_stop(uv_poll_t* handle);
int uv_async_init(uv_loop_t* loop, uv_async_t* handle, uv_async_cb callback);
int uv_async_send(uv_async_t* handle);
uint64_t uv_hrtime(void);

}  // extern "C"

#endif
