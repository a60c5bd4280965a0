"""Old and new forms of kanji, for comparing: 髙橋 and 高橋 are one name.

The pairs are the reform of 1949 (characters whose old form is still met in names and addresses),
and the variants of family names that municipal registers keep. Characters that the reform merged
though they had other meanings (弁 for 辨, 瓣, 辯) are left out, and so are different names that
merely look alike (斉藤 and 斎藤).
"""

from __future__ import annotations

_GROUPS = """
亜亞 悪惡 圧壓 囲圍 為爲 医醫 壱壹 稲稻 飲飮 隠隱 営營 栄榮 衛衞 駅驛 円圓 縁緣 艶艷 塩鹽 奥奧
応應 欧歐 殴毆 桜櫻 仮假 価價 画畫 会會 回囘 壊壞 懐懷 絵繪 拡擴 殻殼 覚覺 学學 岳嶽 楽樂 勧勸
巻卷 寛寬 歓歡 缶罐 観觀 関關 陥陷 巌巖 顔顏 帰歸 気氣 亀龜 偽僞 戯戲 犠犧 旧舊 拠據 挙擧 峡峽
挟挾 狭狹 郷鄕 暁曉 区區 駆驅 勲勳 薫薰 群羣 径徑 恵惠 掲揭 渓溪 経經 継繼 茎莖 蛍螢 軽輕 鶏鷄
芸藝 撃擊 研硏 県縣 倹儉 剣劍劔 圏圈 検檢 権權 献獻 険險 顕顯 験驗 厳嚴 効效 広廣 恒恆 黄黃 鉱鑛
号號 国國 黒黑 済濟 砕碎 斎齋 剤劑 桟棧 蚕蠶 惨慘 賛贊 残殘 糸絲 歯齒 児兒 辞辭 湿濕 実實 写寫
釈釋 寿壽 収收 従從 渋澁 獣獸 縦縱 粛肅 処處 叙敍 奨奬 将將 焼燒 証證 条條 乗乘 状狀 剰剩 壌壤
嬢孃 浄淨 畳疊 穣穰 譲讓 醸釀 嘱囑 触觸 寝寢 慎愼 晋晉 真眞 尽盡 図圖 粋粹 酔醉 随隨 髄髓 枢樞
数數 瀬瀨 声聲 斉齊 静靜 摂攝 専專 戦戰 浅淺 潜潛 繊纖 践踐 銭錢 禅禪 双雙 壮壯 捜搜 挿插 争爭
総總 聡聰 荘莊 装裝 騒騷 増增 臓臟 蔵藏 属屬 続續 堕墮 体體 対對 帯帶 滞滯 台臺 滝瀧 択擇 沢澤
単單 担擔 胆膽 団團 断斷 弾彈 遅遲 昼晝 虫蟲 鋳鑄 庁廳 徴徵 聴聽 鎮鎭 逓遞 鉄鐵 転轉 点點 伝傳
党黨 盗盜 灯燈 当當 闘鬭 独獨 読讀 届屆 縄繩 弐貳 悩惱 脳腦 覇霸 廃廢 拝拜 売賣 麦麥 発發 髪髮
抜拔 蛮蠻 秘祕 浜濱濵 瓶甁 払拂 仏佛 併倂 並竝 変變 辺邊邉 歩步 穂穗 宝寶 豊豐 没沒 翻飜 万萬
満滿 毎每 黙默 弥彌 訳譯 薬藥 与與 予豫 余餘 誉譽 揺搖 様樣 謡謠 来來 頼賴 乱亂 覧覽 竜龍 猟獵
塁壘 涙淚 励勵 礼禮 隷隸 霊靈 齢齡 恋戀 炉爐 労勞 楼樓 録錄 湾灣 青靑 清淸 緑綠 横橫 教敎 徳德
曽曾 即卽 既旣 概槪 戸戶 産產 税稅 説說 閲閱 歳歲 瑶瑤 遥遙 尭堯 凛凜 高髙 崎﨑嵜 吉𠮷 島嶋嶌
富冨 柳栁 淵渕 峰峯 館舘 野埜 村邨 桑桒 鴎鷗 桧檜 芦蘆 槙槇 昇曻 柏栢 梅楳 松枩 橋槗 船舩
"""

NEW_FORMS = {ord(other): group[0] for group in _GROUPS.split() for other in group[1:]} | dict(
    zip(map(ord, "ヵヶヰヱ"), "カケイエ", strict=True)
)
"""What `str.translate` needs to write every form as the new one, and old kana as the new."""
