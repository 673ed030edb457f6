{
  'targets': [
    {
      'target_name': 'ryegate',
      'sources': [
        '<!@(node -p "require(\'fs\').readdirSync(\'native\').filter((name) => name.endsWith(\'.cc\')).map((name) => \'native/\' + name).join(\' \')")',
      ],
      'defines': [
        'NAPI_VERSION=8',
        'NAPI_DISABLE_CPP_EXCEPTIONS',
        'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
        # In a worker that is being terminated nothing can be thrown any more: no reason to abort.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'variables': {
        # System headers: their warnings are not ours. -isystem wins over node-gyp's own -I.
        'system_headers': [
          '-isystem', '<!(node -p "require(\'path\').resolve(require(\'node-addon-api\').include_dir)")',
          '-isystem', '<(node_root_dir)/include/node',
        ],
        'warnings': [
          '-Wall', '-Wextra', '-Wshadow', '-Wconversion',
          '<!@(node -p "process.env.RYEGATE_WERROR ? \'-Werror\' : \'\'")',
        ],
      },
      'cflags!': ['-Wno-unused-parameter'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fno-rtti'],
      'cflags_cc': [
        '-std=c++17', '-fvisibility=hidden', '-fvisibility-inlines-hidden',
        '<@(warnings)', '<@(system_headers)',
      ],
      'xcode_settings': {
        'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
        'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
        'OTHER_CPLUSPLUSFLAGS': ['<@(warnings)', '<@(system_headers)'],
      },
    },
  ],
}
